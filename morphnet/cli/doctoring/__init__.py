"""What `morphnet doctor` looks at: this machine, its settings, its network, what runs, and what a dead process left."""
