"""What we change on a machine: links, addresses, routes, rules, NAT, DNS; each written down before it is done."""
