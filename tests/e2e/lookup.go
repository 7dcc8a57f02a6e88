// SPDX-License-Identifier: Apache-2.0

// Looks a name up with Go's own resolver and connects: lookup NAME PORT.
package main

import (
	"fmt"
	"net"
	"os"
	"time"
)

func main() {
	connection, err := net.DialTimeout("tcp", net.JoinHostPort(os.Args[1], os.Args[2]), 10*time.Second)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	host, _, _ := net.SplitHostPort(connection.RemoteAddr().String())
	fmt.Println("connected", host)
}
