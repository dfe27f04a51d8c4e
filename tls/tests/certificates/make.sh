#!/bin/sh
# Makes the certificates of this folder anew.
set -eu
cd "$(dirname "$0")"
authority() { # name
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 36500 -subj "/CN=Weir test authority $1" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign -keyout "$1-key.pem" -out "$1.pem"
}
leaf() { # name, subject alternative names, extended key usage
  printf 'subjectAltName=%s\nextendedKeyUsage=%s\nbasicConstraints=critical,CA:FALSE\n' "$2" "$3" > ext.cnf
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$1-key.pem" -out "$1.csr"
  openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 36500 -extfile ext.cnf -out "$1.pem"
}
authority ca
authority other-ca
leaf server "DNS:localhost,DNS:*.default.hubble-grpc.cilium.io,IP:127.0.0.1,IP:127.0.0.2" serverAuth
leaf client "DNS:client" clientAuth
# A server that signs for itself.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 36500 -subj "/CN=self" \
  -addext "subjectAltName=DNS:*.nodes.example,IP:127.0.0.1" -keyout self-key.pem -out self.pem
rm -f ./*.csr ./*.srl ext.cnf ca-key.pem other-ca-key.pem
