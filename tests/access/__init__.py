"""Who may do what, held to a server that asks everybody who they are."""
