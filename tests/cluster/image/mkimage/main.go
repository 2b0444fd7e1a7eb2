// mkimage writes a one-layer OCI archive without any container tool, the same bytes for the same input,
// and prints the image's digest.
//
//	mkimage -out box.tar -name lab.local/box:1 -entrypoint /bin/probe,workspace -links /bin/busybox=sh,cat SOURCE=/path ...
package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path"
	"strings"
)

type object = map[string]any

func main() {
	out := flag.String("out", "", "archive to write")
	name := flag.String("name", "", "image name with tag")
	entrypoint := flag.String("entrypoint", "", "comma separated words")
	links := flag.String("links", "", "TARGET=NAME,NAME: symbolic links in /bin")
	flag.Parse()
	layer, err := newLayer(*links, flag.Args())
	if err == nil {
		err = writeArchive(*out, *name, strings.Split(*entrypoint, ","), layer)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mkimage:", err)
		os.Exit(1)
	}
}

func newLayer(links string, files []string) ([]byte, error) {
	var buffer bytes.Buffer
	layer := tar.NewWriter(&buffer)
	for _, folder := range []string{"bin", "dev", "etc", "home", "proc", "run", "sys", "tmp", "usr", "var"} {
		mode := int64(0o755)
		if folder == "tmp" || folder == "run" {
			mode = 0o1777
		}
		if err := layer.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: folder + "/", Mode: mode}); err != nil {
			return nil, err
		}
	}
	if err := addLink(layer, "usr/bin", "/bin"); err != nil {
		return nil, err
	}
	for _, file := range files {
		source, target, _ := strings.Cut(file, "=")
		content, err := os.ReadFile(source)
		if err != nil {
			return nil, err
		}
		if err := addFile(layer, strings.TrimPrefix(target, "/"), content, 0o755); err != nil {
			return nil, err
		}
	}
	if target, names, found := strings.Cut(links, "="); found {
		for _, link := range strings.Split(names, ",") {
			if err := addLink(layer, path.Join("bin", link), target); err != nil {
				return nil, err
			}
		}
	}
	if err := addFile(layer, "etc/passwd", []byte("root:x:0:0::/:/bin/sh\n"), 0o644); err != nil {
		return nil, err
	}
	if err := addFile(layer, "etc/group", []byte("root:x:0:\n"), 0o644); err != nil {
		return nil, err
	}
	return buffer.Bytes(), layer.Close()
}

func addFile(archive *tar.Writer, name string, content []byte, mode int64) error {
	if err := archive.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(content))}); err != nil {
		return err
	}
	_, err := archive.Write(content)
	return err
}

func addLink(archive *tar.Writer, name, target string) error {
	return archive.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777})
}

func digest(content []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(content)) }

func encode(value object) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // only strings, numbers and lists are ever given
	}
	return text
}

func writeArchive(out, name string, entrypoint []string, layer []byte) error {
	config := encode(object{
		"architecture": "amd64", "os": "linux",
		"config": object{"Entrypoint": entrypoint, "Env": []string{"PATH=/bin"}},
		"rootfs": object{"type": "layers", "diff_ids": []string{digest(layer)}},
	})
	manifest := encode(object{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": object{
			"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(config), "size": len(config),
		},
		"layers": []object{{
			"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest(layer), "size": len(layer),
		}},
	})
	index := encode(object{
		"schemaVersion": 2, "manifests": []object{{
			"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest(manifest), "size": len(manifest),
			"annotations": object{"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name},
		}},
	})
	var buffer bytes.Buffer
	archive := tar.NewWriter(&buffer)
	parts := []struct {
		name    string
		content []byte
	}{{"oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)}, {"index.json", index}}
	for _, blob := range [][]byte{layer, config, manifest} {
		parts = append(parts, struct {
			name    string
			content []byte
		}{"blobs/sha256/" + strings.TrimPrefix(digest(blob), "sha256:"), blob})
	}
	for _, part := range parts {
		if err := addFile(archive, part.name, part.content, 0o644); err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	fmt.Println(digest(manifest))
	return os.WriteFile(out, buffer.Bytes(), 0o644)
}
