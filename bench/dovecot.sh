#!/bin/bash
# A Dovecot for measurements, on loopback: bench/dovecot.sh start|stop DIR PORT. Wants root, as Dovecot does. Any user logs in
# with the password "secret"; mail is in DIR/home/USER/Maildir, plain and with no fsync, so that the server is no brake.
set -eu
dir=$(mkdir -p "$2" && cd "$2" && pwd) port=${3:-33143}
if [ "$1" = stop ]; then doveadm -c "$dir/dovecot.conf" stop; exit; fi
mkdir -p "$dir/run" "$dir/home"
chown nobody:nogroup "$dir/home"
cat >"$dir/dovecot.conf" <<C
base_dir = $dir/run
log_path = $dir/log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_failure_delay = 0
first_valid_uid = 1
mail_uid = nobody
mail_gid = nogroup
mail_home = $dir/home/%u
mail_location = maildir:~/Maildir
mail_fsync = never
mail_max_userip_connections = 100
default_internal_user = dovecot
default_login_user = dovenull
namespace inbox {
  inbox = yes
  separator = /
}
passdb {
  driver = static
  args = password={PLAIN}secret
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=$dir/home/%u
}
service imap-login {
  inet_listener imap {
    port = $port
  }
  inet_listener imaps {
    port = 0
  }
}
C
dovecot -c "$dir/dovecot.conf"
