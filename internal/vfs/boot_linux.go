package vfs

import (
	"os"
	"strings"
)

// bootID names the machine's present run: a page cache lives exactly as long.
func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}
