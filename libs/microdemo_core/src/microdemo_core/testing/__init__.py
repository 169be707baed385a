"""What tests of a service on the kernel need, among it real servers."""
