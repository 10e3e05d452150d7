// Command gotest runs go test, shows one line for each package, the whole
// output of what failed, and how many tests passed, failed and were skipped.
//
//	gotest run <results> <go test arguments>   run, and keep the results in a file
//	gotest sum <results>...                    count the results of several runs
//
// A test with subtests is not counted beside them. A package that does not
// build, or fails outside of its tests, counts as one failure. In a sum a test
// that ran more than once counts once: failed if it ever failed, skipped only
// if it never ran.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

func main() {
	var failed bool
	var err error
	switch {
	case len(os.Args) > 3 && os.Args[1] == "run":
		failed, err = run(os.Args[2], os.Args[3:])
	case len(os.Args) > 2 && os.Args[1] == "sum":
		failed, err = sum(os.Args[2:])
	default:
		err = errors.New("usage: gotest run <results> <go test arguments> | gotest sum <results> [<results>]")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
	}
	if failed || err != nil {
		os.Exit(1)
	}
}

// event is what go test -json writes; see go doc test2json.
type event struct {
	Action, Package, Test, Output, ImportPath, FailedBuild string
	Elapsed                                                float64
}

// results holds pass, fail or skip by package and test ("" is the package itself).
type results map[[2]string]string

// run runs go test and reports whether anything failed.
func run(file string, args []string) (bool, error) {
	_ = os.Remove(file)
	command := exec.CommandContext(context.Background(), "go", append([]string{"test", "-json"}, args...)...)
	command.Stderr = os.Stderr
	out, err := command.StdoutPipe()
	if err != nil {
		return false, err
	}
	if err := command.Start(); err != nil {
		return false, err
	}
	got, err := follow(out, os.Stdout)
	if err != nil {
		return false, errors.Join(err, command.Wait())
	}
	err = command.Wait()
	counted := got.counted()
	counts := counted.counts()
	if err != nil && counts["fail"] == 0 {
		return false, fmt.Errorf("go test: %w", err)
	}
	for _, name := range counted.sorted() {
		if counted[name] == "fail" {
			fmt.Println("FAILED", name[0], name[1])
		}
	}
	fmt.Println(summary(counts))
	return counts["fail"] > 0, counted.write(file)
}

// follow reads events until the end and writes what a reader wants to see.
func follow(in io.Reader, out io.Writer) (results, error) {
	got := results{}
	output := map[[2]string][]string{} // not yet shown; by test, or by import path for a build
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if len(line) > 0 {
			var ev event
			if json.Unmarshal(line, &ev) != nil {
				fmt.Fprint(out, string(line)) // go test itself said it
			} else {
				got.add(ev, output, out)
			}
		}
		if err != nil {
			return got, nil
		}
	}
}

// add takes one event in.
func (r results) add(ev event, output map[[2]string][]string, out io.Writer) {
	name := [2]string{ev.Package, ev.Test}
	switch ev.Action {
	case "output":
		output[name] = append(output[name], ev.Output)
	case "build-output":
		build := [2]string{ev.ImportPath}
		output[build] = append(output[build], ev.Output)
	case "pass", "skip":
		r[name] = ev.Action
		if ev.Test == "" && ev.Action == "pass" {
			fmt.Fprintf(out, "ok    %s  %.1fs\n", ev.Package, ev.Elapsed)
		}
		delete(output, name)
	case "fail":
		r[name] = ev.Action
		if ev.FailedBuild != "" {
			name = [2]string{ev.FailedBuild}
		}
		if ev.Test == "" {
			fmt.Fprintf(out, "FAIL  %s  %.1fs\n", ev.Package, ev.Elapsed)
		}
		for _, text := range output[name] {
			fmt.Fprint(out, text)
		}
		delete(output, name)
		if ev.Test == "" {
			unended(ev.Package, output, out)
		}
	}
}

// unended shows the output of a failed package's tests that never ended: where
// go test writes why, such as a panic, or what every goroutine waited for when
// the time was over.
func unended(pkg string, output map[[2]string][]string, out io.Writer) {
	for name, texts := range output {
		if name[0] != pkg {
			continue
		}
		for _, text := range texts {
			fmt.Fprint(out, text)
		}
		delete(output, name)
	}
}

// counted leaves out packages that only pass on what their tests say, and
// tests that only pass on what their subtests say.
func (r results) counted() results {
	parents, blamed := map[[2]string]bool{}, map[[2]string]bool{}
	for name, action := range r {
		for above, ok := parent(name); ok; above, ok = parent(above) {
			parents[above] = true
			blamed[above] = blamed[above] || action == "fail"
		}
	}
	counted := results{}
	for name, action := range r {
		isGroup := name[1] == "" || parents[name]
		if !isGroup || action == "fail" && !blamed[name] {
			counted[name] = action
		}
	}
	return counted
}

// parent returns the test above a subtest, or the package of a test.
func parent(name [2]string) ([2]string, bool) {
	if name[1] == "" {
		return name, false
	}
	i := max(strings.LastIndex(name[1], "/"), 0)
	return [2]string{name[0], name[1][:i]}, true
}

func (r results) counts() map[string]int {
	counts := map[string]int{}
	for _, action := range r {
		counts[action]++
	}
	return counts
}

func (r results) sorted() [][2]string {
	names := make([][2]string, 0, len(r))
	for name := range r {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	return names
}

// write keeps the results for sum.
func (r results) write(file string) error {
	var text strings.Builder
	for _, name := range r.sorted() {
		fmt.Fprintf(&text, "%s\t%s\t%s\n", r[name], name[0], name[1])
	}
	return os.WriteFile(file, []byte(text.String()), 0o644)
}

// sum prints the counts of several runs as one and reports whether any failed.
func sum(files []string) (bool, error) {
	rank := map[string]int{"skip": 1, "pass": 2, "fail": 3}
	all := results{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return false, err
		}
		for line := range strings.Lines(string(data)) {
			field := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
			if len(field) != 3 || rank[field[0]] == 0 {
				return false, fmt.Errorf("%s: not a result: %q", file, line)
			}
			name := [2]string{field[1], field[2]}
			if rank[field[0]] > rank[all[name]] {
				all[name] = field[0]
			}
		}
	}
	// What has run as subtests is counted by them, also where another run skipped it.
	for name := range all {
		if parent, _, ok := strings.Cut(name[1], "/"); ok && all[[2]string{name[0], parent}] == "skip" {
			delete(all, [2]string{name[0], parent})
		}
	}
	counts := all.counts()
	fmt.Println(summary(counts))
	return counts["fail"] > 0, nil
}

func summary(counts map[string]int) string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", counts["pass"], counts["fail"], counts["skip"])
}
