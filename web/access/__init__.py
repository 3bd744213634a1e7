"""Who may use a server: its keys, the rules for each request, and what proxies say of clients."""
