//go:build !synctests

package brokersim_test

const virtualClients = false
