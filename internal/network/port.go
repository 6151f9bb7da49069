package network

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
)

const (
	firstPort       = 10_000
	ephemeralAnyway = 32_768 // where the kernel's range begins if it does not say
	portTries       = 64
)

// listenFree listens on a free port of ip outside the range from which the
// kernel takes ports for outgoing connections. So nobody's connection takes
// the port of a broker between its death and its next start.
func listenFree(network, ip string) (net.Listener, error) {
	limit := max(ephemeralStart(), firstPort+1000)
	for range portTries {
		port := firstPort + rand.IntN(limit-firstPort)
		if l, err := net.Listen(network, net.JoinHostPort(ip, strconv.Itoa(port))); err == nil {
			return l, nil
		}
	}
	return net.Listen(network, net.JoinHostPort(ip, "0"))
}

// ephemeralStart returns the first port that the kernel gives to outgoing connections.
func ephemeralStart() int {
	b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return ephemeralAnyway
	}
	var low, high int
	if _, err := fmt.Sscan(string(b), &low, &high); err != nil || low <= 0 {
		return ephemeralAnyway
	}
	return low
}
