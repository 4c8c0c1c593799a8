"""The process that a caller starts: it hands the command to the resident and brings back what it prints.

Everything on the way of a warm command imports only what the bare interpreter has, and the socket module.
"""
