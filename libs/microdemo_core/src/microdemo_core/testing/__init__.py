"""What tests of a service on the kernel need, in modules that can be had one by one: `servers` alone is light."""
