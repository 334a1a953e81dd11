// An independent reader of a Sudare log: golang.org/x/mod/sumdb/{note,tlog}, from Debian.
//
// usage: main DIR VKEY-FILE [RECEIPT]
//
// It prints two verdicts, each "accepted" or "refused: why":
//
//	tiles    as a client of tlog.TileHashReader would: each entry's hash is compared with tile/0
//	entries  the root is computed from the entries alone
package main

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const width = 256

type tree struct {
	size int64
	root tlog.Hash
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: main DIR VKEY-FILE [RECEIPT]")
		os.Exit(2)
	}
	dir := os.Args[1]
	receipt := ""
	if len(os.Args) > 3 {
		receipt = os.Args[3]
	}
	fmt.Println("tiles", verdict(byTiles(dir, os.Args[2], receipt)))
	fmt.Println("entries", verdict(byEntries(dir, os.Args[2], receipt)))
}

func verdict(err error) string {
	if err != nil {
		return "refused: " + err.Error()
	}
	return "accepted"
}

func byTiles(dir, key, receipt string) error {
	now, old, err := heads(dir, key, receipt)
	if err != nil {
		return err
	}
	hashes := tlog.TileHashReader(tlog.Tree{N: now.size, Hash: now.root}, reader{dir})
	for i := int64(0); i < now.size; i += width {
		leaves, err := bundle(dir, i, now.size)
		if err != nil {
			return err
		}
		places := make([]int64, len(leaves))
		for j := range leaves {
			places[j] = tlog.StoredHashIndex(0, i+int64(j))
		}
		stored, err := hashes.ReadHashes(places)
		if err != nil {
			return err
		}
		for j, leaf := range leaves {
			if leaf != stored[j] {
				return fmt.Errorf("entry %d is not the one of its tile", i+int64(j))
			}
		}
	}
	return continues(now, old, hashes)
}

func byEntries(dir, key, receipt string) error {
	now, old, err := heads(dir, key, receipt)
	if err != nil {
		return err
	}
	var stored memory
	for i := int64(0); i < now.size; i += width {
		leaves, err := bundle(dir, i, now.size)
		if err != nil {
			return err
		}
		for j, leaf := range leaves {
			more, err := tlog.StoredHashesForRecordHash(i+int64(j), leaf, stored)
			if err != nil {
				return err
			}
			stored = append(stored, more...)
		}
	}
	root, err := tlog.TreeHash(now.size, stored)
	if err != nil {
		return err
	}
	if root != now.root {
		return errors.New("the entries do not lead to the signed root")
	}
	return continues(now, old, stored)
}

// heads reads the checkpoint, and the receipt if there is one.
func heads(dir, key, receipt string) (now, old tree, err error) {
	line, err := os.ReadFile(key)
	if err != nil {
		return now, old, err
	}
	verifier, err := note.NewVerifier(strings.TrimSpace(string(line)))
	if err != nil {
		return now, old, err
	}
	if now, err = head(filepath.Join(dir, "checkpoint"), verifier); err != nil {
		return now, old, err
	}
	if receipt != "" {
		old, err = head(receipt, verifier)
	}
	return now, old, err
}

func head(path string, verifier note.Verifier) (tree, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return tree{}, err
	}
	opened, err := note.Open(text, note.VerifierList(verifier))
	if err != nil {
		return tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return tree{}, errors.New("not a checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tree{}, err
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return tree{}, errors.New("the root is no hash")
	}
	found := tree{size: size}
	copy(found.root[:], root)
	return found, nil
}

// continues checks that now is the tree of old with entries added.
func continues(now, old tree, hashes tlog.HashReader) error {
	switch {
	case old.size == 0:
		return nil
	case old.size > now.size:
		return fmt.Errorf("%d entries, and a receipt proves %d", now.size, old.size)
	case old.size == now.size:
		if old.root != now.root {
			return errors.New("a receipt proves another root")
		}
		return nil
	}
	proof, err := tlog.ProveTree(now.size, old.size, hashes)
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, now.size, now.root, old.size, old.root)
}

// bundle gives the leaf hashes of the bundle that begins with entry first.
func bundle(dir string, first, size int64) ([]tlog.Hash, error) {
	count := size - first
	path := "tile/entries/" + index(first/width)
	if count < width {
		path += fmt.Sprintf(".p/%d", count)
	} else {
		count = width
	}
	bytes, err := os.ReadFile(filepath.Join(dir, path))
	if err != nil {
		return nil, err
	}
	var leaves []tlog.Hash
	for len(bytes) > 0 {
		if len(bytes) < 2 || len(bytes)-2 < int(binary.BigEndian.Uint16(bytes)) {
			return nil, fmt.Errorf("%s ends inside an entry", path)
		}
		length := int(binary.BigEndian.Uint16(bytes))
		leaves = append(leaves, tlog.RecordHash(bytes[2:2+length]))
		bytes = bytes[2+length:]
	}
	if int64(len(leaves)) != count {
		return nil, fmt.Errorf("%s holds %d entries", path, len(leaves))
	}
	return leaves, nil
}

// memory holds the hashes of a tree that was computed here.
type memory []tlog.Hash

func (m memory) ReadHashes(places []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(places))
	for i, place := range places {
		if place >= int64(len(m)) {
			return nil, errors.New("there is no such hash yet")
		}
		found[i] = m[place]
	}
	return found, nil
}

// reader reads tiles of hashes from files.
type reader struct{ dir string }

func (reader) Height() int { return 8 }

func (r reader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		path := fmt.Sprintf("tile/%d/%s", tile.L, index(tile.N))
		if tile.W < width {
			path += fmt.Sprintf(".p/%d", tile.W)
		}
		bytes, err := os.ReadFile(filepath.Join(r.dir, path))
		if err != nil {
			return nil, err
		}
		all = append(all, bytes)
	}
	return all, nil
}

func (reader) SaveTiles([]tlog.Tile, [][]byte) {}

// index writes 1234067 as x001/x234/067.
func index(n int64) string {
	path := fmt.Sprintf("%03d", n%1000)
	for n /= 1000; n > 0; n /= 1000 {
		path = fmt.Sprintf("x%03d/%s", n%1000, path)
	}
	return path
}
