// What test_interop.py asks of every client, said by golang.org/x/crypto/ssh.
package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func status(err error) int {
	if exit, ok := err.(*ssh.ExitError); ok {
		return exit.ExitStatus()
	}
	must(err)
	return 0
}

func open(client *ssh.Client) *ssh.Session {
	session, err := client.NewSession()
	must(err)
	return session
}

func main() {
	text, err := os.ReadFile(os.Args[3])
	must(err)
	key, err := ssh.ParsePrivateKey(text)
	must(err)
	client, err := ssh.Dial("tcp", "127.0.0.1:"+os.Args[1], &ssh.ClientConfig{
		User: os.Args[2], Auth: []ssh.AuthMethod{ssh.PublicKeys(key)},
		HostKeyCallback: ssh.InsecureIgnoreHostKey()})
	must(err)

	var out, errs bytes.Buffer
	session := open(client)
	session.Stdout, session.Stderr = &out, &errs
	code := status(session.Run("echo out; echo err >&2; exit 7"))
	fmt.Printf("exec %s %s %d\n", strings.TrimSpace(out.String()), strings.TrimSpace(errs.String()), code)

	session = open(client)
	session.Stdin = strings.NewReader(strings.Repeat("x", 1<<20))
	sum, err := session.Output("sha256sum")
	fmt.Printf("stdin %.64s %d\n", sum, status(err))

	sessions, outs, writers := [5]*ssh.Session{}, [5]bytes.Buffer{}, [5]*os.File{}
	for i := range sessions {
		sessions[i] = open(client)
		sessions[i].Stdout = &outs[i]
		reader, writer, err := os.Pipe()
		must(err)
		sessions[i].Stdin = reader
		must(sessions[i].Start(fmt.Sprintf("cat; exit %d", i)))
		writers[i] = writer
	}
	fmt.Print("channels")
	for i := 4; i >= 0; i-- {
		fmt.Fprintf(writers[i], "n%d", i)
		writers[i].Close()
		code := status(sessions[i].Wait())
		fmt.Printf(" %s=%d", outs[i].String(), code)
	}
	fmt.Println()

	session = open(client)
	ok, err := session.SendRequest("no-such-request@example.com", true, nil)
	must(err)
	global, _, err := client.SendRequest("no-such-request@example.com", true, nil)
	must(err)
	if ok || global {
		must(fmt.Errorf("not refused"))
	}
	alive, err := session.Output("echo alive")
	must(err)
	fmt.Printf("refused, %s", alive)
	client.Close()
}
