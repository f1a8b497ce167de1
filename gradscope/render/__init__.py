"""Report to text, JSON, Markdown, HTML, figures and graphs: pure functions, no torch."""
