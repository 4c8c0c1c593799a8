"""The contracts everything speaks: envelope, event, error, command, context, session, protocol."""
