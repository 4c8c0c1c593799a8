"""The network as the kernel sees it: servers, sockets, interfaces, and how all of it hangs together."""
