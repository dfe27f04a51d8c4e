module weir/tests/hubble

go 1.25
