"""What a lint has to tell, and the forms in which it is printed."""
