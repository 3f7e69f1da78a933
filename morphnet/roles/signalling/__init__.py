"""What nodes say to one another beside the data: both ends of the control link, and a node's line to a relay."""
