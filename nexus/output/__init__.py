"""How an envelope is written: JSON for programs, and what people ask for with --output."""
