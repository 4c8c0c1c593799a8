"""HashiCorp Vault and OpenBao: values by name, and credentials that are lent for a time."""
