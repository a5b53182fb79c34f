// goserver is the plain SSH server that Postern is measured against: accept, exec, exit-status.
//
//	goserver ADDRESS HOST-KEY AUTHORIZED-KEYS UID
package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/crypto/ssh"
)

var credential syscall.Credential

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func configure(hostKey, authorized string) *ssh.ServerConfig {
	text, err := os.ReadFile(hostKey)
	must(err)
	signer, err := ssh.ParsePrivateKey(text)
	must(err)
	text, err = os.ReadFile(authorized)
	must(err)
	key, _, _, _, err := ssh.ParseAuthorizedKey(text)
	must(err)
	config := &ssh.ServerConfig{
		PublicKeyCallback: func(_ ssh.ConnMetadata, offered ssh.PublicKey) (*ssh.Permissions, error) {
			if !bytes.Equal(offered.Marshal(), key.Marshal()) {
				return nil, errors.New("not listed")
			}
			return nil, nil
		},
	}
	config.AddHostKey(signer)
	return config
}

func exitStatus(err error) uint32 {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return uint32(exit.ExitCode())
	}
	if err != nil {
		return 127
	}
	return 0
}

func run(channel ssh.Channel, words []string) {
	command := exec.Command(words[0], words[1:]...)
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &credential}
	command.Env = []string{"PATH=/usr/bin:/bin"}
	command.Stdout, command.Stderr = channel, channel.Stderr()
	stdin, err := command.StdinPipe()
	if err == nil {
		err = command.Start()
	}
	if err == nil {
		go func() {
			_, _ = io.Copy(stdin, channel)
			_ = stdin.Close()
		}()
		err = command.Wait()
	}
	status := binary.BigEndian.AppendUint32(nil, exitStatus(err))
	_, _ = channel.SendRequest("exit-status", false, status)
	_ = channel.Close()
}

func serveChannel(channel ssh.Channel, requests <-chan *ssh.Request) {
	for request := range requests {
		var payload struct{ Command string }
		words := []string(nil)
		if request.Type == "exec" && ssh.Unmarshal(request.Payload, &payload) == nil {
			words = strings.Fields(payload.Command)
		}
		_ = request.Reply(len(words) > 0, nil)
		if len(words) > 0 {
			go run(channel, words)
		}
	}
}

func serve(socket net.Conn, config *ssh.ServerConfig) {
	connection, channels, requests, err := ssh.NewServerConn(socket, config)
	if err != nil {
		return
	}
	defer connection.Close()
	go ssh.DiscardRequests(requests)
	for open := range channels {
		if open.ChannelType() != "session" {
			_ = open.Reject(ssh.UnknownChannelType, "no such type")
			continue
		}
		channel, requests, err := open.Accept()
		if err != nil {
			return
		}
		go serveChannel(channel, requests)
	}
}

func main() {
	uid, err := strconv.ParseUint(os.Args[4], 10, 32)
	must(err)
	credential = syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}
	config := configure(os.Args[2], os.Args[3])
	listener, err := net.Listen("tcp", os.Args[1])
	must(err)
	for {
		socket, err := listener.Accept()
		must(err)
		go serve(socket, config)
	}
}
