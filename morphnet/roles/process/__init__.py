"""What is the same in every process: its name, its history, its clock, what it shows and lets be touched."""
