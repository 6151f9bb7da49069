package vfs

import "syscall"

// bootID names the machine's present run: a page cache lives exactly as long.
func bootID() string {
	id, err := syscall.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return ""
	}
	return id
}
