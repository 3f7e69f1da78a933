"""What outlives a process: certificates, leases, sessions."""
