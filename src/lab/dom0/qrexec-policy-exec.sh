#!/bin/sh
# qrexec-policy-exec [--assume-yes-for-ask] [--just-evaluate] SOURCE TARGET SERVICE+ARGUMENT: what the lab's policy
# says, without a call. Exit code 0 is allow; what decided goes to stderr (the real one writes that to syslog).
lab=${0%/dom0/bin/*}
usage() {
  echo 'usage: qrexec-policy-exec [--assume-yes-for-ask] [--just-evaluate] SOURCE TARGET SERVICE+ARGUMENT' >&2
  exit 2
}
assume='' quiet=''
while [ $# -gt 0 ]; do
  case $1 in
    --assume-yes-for-ask) assume=1 ;;
    --just-evaluate) quiet=1 ;;
    --) shift; break ;;
    -*) usage ;;
    *) break ;;
  esac
  shift
done
[ $# -eq 3 ] || usage
case $1$2$3 in *[!A-Za-z0-9+._@:-]*) usage ;; esac
reply=$lab/calls/rpc.$$
[ -p "$reply" ] || mkfifo -m 600 "$reply" || exit 1
exec 7<>"$reply"
echo "$reply 0 policy $1 $2 $3" 1<>"$lab/rpc"
read -r action reason <&7
case $action$assume in
  allow* | ask1) result=allow ;;
  *) result=deny ;;
esac
echo "qrexec: $3: $1 -> $2: $reason" >&2
[ -n "$quiet" ] || echo "result=$result"
rm -f "$reply"
[ $result = allow ]
