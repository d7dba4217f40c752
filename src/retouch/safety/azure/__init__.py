"""Azure AI Content Safety, asked through its official SDK."""
