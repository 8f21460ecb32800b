"""Translation between the dialects, held to what each API documents."""
