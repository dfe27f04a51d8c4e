#!/bin/sh
# Makes the certificates of the TLS tests: an authority, a server relay.weir.test, a client, and a server that signs for
# itself. The authority's key is thrown away.
set -eu
cd "$(dirname "$0")"
days=36500
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca-key.pem -out ca.pem -days $days \
    -subj "/CN=Weir test authority" 2>/dev/null
for name in server client; do
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $name-key.pem -out $name.csr \
        -subj "/CN=$name.weir.test" 2>/dev/null
    printf 'basicConstraints=CA:FALSE\nsubjectAltName=DNS:%s\nextendedKeyUsage=%sAuth\n' \
        "$([ $name = server ] && echo relay.weir.test || echo client.weir.test)" $name >extensions
    openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days $days -extfile extensions \
        -out $name.pem 2>/dev/null
done
# A server that signs for itself, with a name that stands for many.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout self-key.pem -out self.pem -days $days \
    -subj "/CN=self.weir.test" -addext "subjectAltName=DNS:*.relay.weir.test,DNS:relay.weir.test" 2>/dev/null
rm -f ca-key.pem ca.srl extensions server.csr client.csr
