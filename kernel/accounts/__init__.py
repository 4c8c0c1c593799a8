"""Accounts: users, roles, what signs them in, and who a request of a network comes from."""
