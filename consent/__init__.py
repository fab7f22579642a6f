"""Who may see which photo for which purpose, and the record of every answer."""
