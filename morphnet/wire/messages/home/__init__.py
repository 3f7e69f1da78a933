"""What homes, coordinators and browsers say to each other."""
