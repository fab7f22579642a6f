"""Who asks, for one purpose: accounts, sessions, tickets, emergency grants -> Requester and Request."""
