#!/bin/sh
# Makes the secrets that compose.yaml mounts: random passwords, and the configuration and URLs that hold them.
# All or nothing: RabbitMQ keeps the password of its first start, so what exists is never replaced.
set -eu
cd "$(dirname "$0")/.."

if [ -e secrets ]; then
  echo "secrets/ exists and stays as it is. For new ones: docker compose down --volumes && rm -r secrets" >&2
  exit 0
fi

# 192 bits in hexadecimal: nothing that a URL or a configuration file would have to quote.
random() {
  value=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
  [ "${#value}" = 48 ] || { echo "Cannot read /dev/urandom" >&2; exit 1; }
  echo "$value"
}

umask 077 # the folder is the lock; the files must be readable for the containers' own users
rm -rf secrets.new
mkdir secrets.new
broker=$(random) redis=$(random) key=$(random)
echo "$key" > secrets.new/api-key
printf 'default_user = wps\ndefault_pass = %s\n' "$broker" > secrets.new/rabbitmq.conf
echo "amqp://wps:$broker@rabbitmq:5672/" > secrets.new/broker-url
printf 'requirepass %s\nsave ""\nappendonly no\nmaxmemory 96mb\nmaxmemory-policy noeviction\n' "$redis" > secrets.new/redis.conf
echo "redis://:$redis@redis:6379" > secrets.new/redis-url
chmod 0444 secrets.new/*
mv secrets.new secrets
echo "secrets/ holds the API key, and the passwords of RabbitMQ (user wps) and Redis"
