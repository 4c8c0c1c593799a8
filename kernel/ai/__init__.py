"""AI chats in the kernel: back ends, conversations, the driver that streams their answers."""
