# How many sessions of xrdp there are: each has one process of this name.
sessions_of_xrdp() {
    grep -lsx xrdp-chansrv /proc/[0-9]*/comm | wc -l
}

# refuse_to_end COUNT
refuse_to_end() {
    printf 'sudare-host: %s\n' "not installed: it would end $1 running xrdp session(s), with what is not saved in them." \
        "インストールしていません：実行中の xrdp セッション $1 個が終了し、保存していない内容が失われます。" \
        "Ask their users to log off. To end the sessions all the same: sudo SUDARE_END_SESSIONS=yes apt install …" >&2
    exit 1
}
