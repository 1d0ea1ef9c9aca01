"""What tests share: one module for each kind of helper. ``tests/README.md`` says where what is."""
