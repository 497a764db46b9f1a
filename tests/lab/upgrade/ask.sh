# Whether the cluster's API answers a client. A connection that goes down with the machine it ends at is opened anew, as clients do.
cd "$(dirname "$0")" || exit 1
said=$(curl -fsS --max-time 10 --retry 2 --retry-all-errors --retry-delay 0 --retry-max-time 3 --cacert ca.crt --cert client.crt --key client.key -o answer.json https://10.25.150.10:6443/api/v1/nodes 2>&1) && exit 0
echo "$said" >&2
exit 1
