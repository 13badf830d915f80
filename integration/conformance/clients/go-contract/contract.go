// Package contract has the words of contract.py in Go, for both Go clients.
package contract

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// Patience: a command that takes longer has failed.
const Patience = 60 * time.Second

// Command has the fields that contract.py names.
type Command struct {
	Op         string            `json:"op"`
	Bootstrap  string            `json:"bootstrap"`
	Topic      string            `json:"topic"`
	Partition  int32             `json:"partition"`
	Partitions int32             `json:"partitions"`
	Total      int               `json:"total"`
	Codec      string            `json:"codec"`
	Idempotent bool              `json:"idempotent"`
	File       string            `json:"file"`
	Offset     any               `json:"offset"`
	Count      int               `json:"count"`
	Configs    map[string]string `json:"configs"`
	Key        string            `json:"key"`
	Value      string            `json:"value"`
	Group      string            `json:"group"`
	SessionMs  int               `json:"session_ms"`
	Instance   *string           `json:"instance"`
}

// Brokers are the addresses to begin with.
func (c Command) Brokers() []string { return strings.Split(c.Bootstrap, ",") }

// OffsetOr is the offset that the command names, or orElse where it says "beginning".
func (c Command) OffsetOr(orElse int64) int64 {
	if number, is := c.Offset.(float64); is {
		return int64(number)
	}
	return orElse
}

// Answer is one line of JSON.
type Answer map[string]any

var output sync.Mutex

// Tell writes a line.
func Tell(line Answer) {
	output.Lock()
	defer output.Unlock()
	if err := json.NewEncoder(os.Stdout).Encode(line); err != nil {
		panic(err)
	}
}

// Lines gives key and value of each line of a file.
func Lines(path string) ([][2][]byte, error) {
	all, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var found [][2][]byte
	for _, line := range bytes.SplitAfter(all, []byte{'\n'}) {
		if len(line) > 0 {
			key, value, _ := bytes.Cut(line[:len(line)-1], []byte{'\t'})
			found = append(found, [2][]byte{key, value})
		}
	}
	return found, nil
}

// Serve answers commands until the end of standard input, or becomes a member.
func Serve(operations map[string]func(Command) (Answer, error), member func(Command, <-chan string) error) {
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		var asked Command
		if err := json.Unmarshal(input.Bytes(), &asked); err != nil {
			panic(err)
		}
		if asked.Op == "member" {
			if err := member(asked, commands(input)); err != nil {
				Tell(Answer{"event": "error", "error": err.Error()})
				os.Exit(1)
			}
			Tell(Answer{"event": "closed"})
			return
		}
		found, err := operations[asked.Op](asked)
		if err != nil {
			Tell(Answer{"error": fmt.Sprintf("%T: %v", err, err)})
			continue
		}
		if found == nil {
			found = Answer{}
		}
		found["ok"] = true
		Tell(found)
	}
}

// commands are those to a member, which is busy polling.
func commands(input *bufio.Scanner) <-chan string {
	told := make(chan string, 16)
	go func() {
		for input.Scan() {
			var asked Command
			if json.Unmarshal(input.Bytes(), &asked) == nil {
				told <- asked.Op
			}
		}
		told <- "close"
	}()
	return told
}
