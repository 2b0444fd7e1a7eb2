# Sourced by up.sh: a certificate authority, the API server's certificate, an administrator's one, and the
# kubeconfigs. Deno refuses a CA that is used as a server's own certificate, so the two are apart.

key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "certs/$1.key" 2>/dev/null; }

signed() { # NAME SUBJECT EXTENSIONS
  key "$1"
  openssl req -new -key "certs/$1.key" -subj "$2" -out "certs/$1.csr"
  openssl x509 -req -in "certs/$1.csr" -CA certs/ca.crt -CAkey certs/ca.key -CAcreateserial -days 365 -sha256 \
    -extfile <(printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n%b' "$3") -out "certs/$1.crt" 2>/dev/null
}

make_certificates() {
  key ca
  openssl req -x509 -new -key certs/ca.key -subj /CN=test-cluster-ca -days 365 -sha256 \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign -out certs/ca.crt
  signed apiserver /CN=kube-apiserver "extendedKeyUsage=serverAuth\nsubjectAltName=IP:$NODE_IP,IP:10.96.0.1,IP:127.0.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local\n"
  signed admin /O=system:masters/CN=admin-certificate "extendedKeyUsage=clientAuth\n"
  signed kubelet-client /O=system:masters/CN=cluster:apiserver "extendedKeyUsage=clientAuth\n"
  openssl genrsa -out certs/accounts.key 2048 2>/dev/null
  openssl rsa -in certs/accounts.key -pubout -out certs/accounts.pub 2>/dev/null
}

# One user per part of the cluster; the audit log leaves them out by their group. WPS refuses a kubeconfig with a token
# that everybody can read.
make_tokens() (
  umask 077
  local part
  : >certs/tokens.csv
  for part in admin kubelet controllers scheduler proxy felix storage kwok; do
    local token user=cluster:$part groups=system:masters,cluster:parts
    token=$(openssl rand -hex 16)
    [ $part = admin ] && user=admin groups=system:masters
    echo "$token,$user,$user,\"$groups\"" >>certs/tokens.csv
    kubeconfig "{token: $token}" >"$part.kubeconfig"
  done
  kubeconfig "{client-certificate: $RUN/certs/admin.crt, client-key: $RUN/certs/admin.key}" >certificate.kubeconfig
)

kubeconfig() { # USER
  cat <<K
apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "$API", certificate-authority: $RUN/certs/ca.crt}}]
users: [{name: user, user: $1}]
contexts: [{name: test, context: {cluster: test, user: user}}]
current-context: test
K
}
