"""From files and streams to manifests with their places. What is read is judged by nobody here."""
