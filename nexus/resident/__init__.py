"""The process that stays: it hosts the dispatcher and the local kernel, and answers every launcher of its user."""
