"""The Session ABI: one contract, three transports, a sans-IO core that both ends of a stream share."""
