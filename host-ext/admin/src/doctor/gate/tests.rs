use sudare_owner::wire::{Refused, Why};

use super::*;

const GOOD: &str = "Listen=[::]:3389 (Stream)\nActiveState=active\nUnitFileState=enabled\n";

#[test]
fn a_port_that_nobody_opens_or_only_until_the_next_start_is_found() {
    assert_eq!(accepts(GOOD), Ok(vec!["[::]:3389".parse().unwrap()]));
    let two = accepts(&format!("Listen=192.0.2.1:3390 (Stream)\n{GOOD}")).unwrap();
    assert_eq!(two.len(), 2);
    for (from, to, says) in [
        ("=active", "=failed", "is failed, so no client"),
        ("=active", "=inactive", "enable --now sudare-gate.socket"),
        ("=enabled", "=disabled", "after the next start"),
        ("Listen=[::]:3389 (Stream)", "", "at no port"),
    ] {
        let said = accepts(&GOOD.replace(from, to)).unwrap_err();
        assert!(said.contains(says), "{said}");
    }
    assert!(accepts("").unwrap_err().contains("unknown"));
}

#[test]
fn the_key_is_the_one_that_the_unit_hands_over() {
    let unit = "[Service]\nLoadCredential=tls_key:/etc/sudare/gate.key\n";
    assert_eq!(credential(unit), Some(KEY.into()));
    let edited = format!("{unit}# override.conf\nLoadCredential=\nLoadCredential=tls_key:/etc/other.key\n");
    assert_eq!(credential(&edited), Some("/etc/other.key".into()));
    assert_eq!(credential("[Service]\n"), None);
}

#[test]
fn another_program_at_the_port_is_no_gate_whatever_it_shows() {
    let address: SocketAddr = "192.0.2.1:3389".parse().unwrap();
    let (ours, other) = ([1; 32], [2; 32]);
    let gate = vec!["sudare-gate".to_owned()];
    assert!(answered(address, &ours, Some(&ours), &gate, true).unwrap().contains("192.0.2.1:3389"));
    // The same certificate: xrdp has it, too.
    let said = answered(address, &ours, Some(&ours), &["xrdp".to_owned()], true).unwrap_err();
    assert!(said.contains("answered by xrdp") && said.contains("nobody guards"), "{said}");
    assert!(answered(address, &ours, Some(&ours), &[], true).unwrap_err().contains("another program"));
    assert!(answered(address, &other, Some(&ours), &gate, true).unwrap_err().contains("02:02"));
    assert!(answered(address, &ours, None, &gate, true).is_err());
    let silent = unanswered(address, &ProbeError::Ended);
    assert!(silent.contains("sudare-gate@*"), "{silent}");
    assert!(
        unanswered(address, &ProbeError::Unreachable(io::ErrorKind::ConnectionRefused.into()))
            .contains("firewall")
    );
}

#[test]
fn a_host_that_is_not_there_not_the_one_or_without_tls_is_told_with_what_to_do() {
    let here: Target = "unix:/run/sudare-xrdp/socket".parse().unwrap();
    let far: Target = format!("tcp:192.0.2.7:3389#{}", "01".repeat(32)).parse().unwrap();
    assert!(known(&here, Ok([9; 32])).is_ok() && known(&far, Ok([1; 32])).is_ok());
    let said = known(&far, Ok([9; 32])).unwrap_err();
    assert!(said.contains("09:09") && said.contains("in its place"), "{said}");
    assert!(known(&here, Err(ProbeError::NoTls)).unwrap_err().contains("adduser xrdp ssl-cert"));
    let gone = || Err(ProbeError::Unreachable(io::ErrorKind::NotFound.into()));
    assert!(known(&here, gone()).unwrap_err().contains("systemctl restart xrdp"));
    assert!(known(&far, gone()).unwrap_err().contains("that host"));
}

#[test]
fn a_service_that_cannot_be_asked_or_cannot_tell_is_found() {
    let nowhere = Path::new("/nonexistent/socket");
    let said = unasked(nowhere, &ask(nowhere).unwrap_err());
    assert!(said.contains("enable --now sudare-owner") && said.contains("stays covered"), "{said}");
    assert!(told(Answer::LoginScreen, true).is_ok());
    let refused = Answer::Refused(Refused { why: Why::Kernel, errno: 1 });
    let said = told(refused, true).unwrap_err();
    assert!(said.contains("pidfd_getfd") && said.contains("not permitted"), "{said}");
    // Without a host there is nothing to tell; that is another finding.
    assert!(told(Answer::Refused(Refused { why: Why::NoServer, errno: 0 }), false).is_ok());
    let (seen, whose) = met::<()>(Err(ProbeError::Silent), Err(BY_NAME));
    assert!(seen.is_err() && whose.unwrap().contains("policy"));
}

#[test]
fn nla_without_its_program_or_with_a_file_that_others_read_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let users = dir.path().join("nla.users");
    let off = HostConfig::load(None, &[]).unwrap();
    assert!(nla(&off, None).is_empty());
    let on = HostConfig { gate_nla_users: Some(users.clone()), ..off };
    let of = |part: &str| nla(&on, None).into_iter().find(|(name, _)| *name == part).unwrap().1;
    assert!(of("program of NLA").unwrap_err().contains("sudare-nla"));
    assert!(of("users of NLA").unwrap_err().contains("sudare-nla add"));
    std::fs::write(&users, "").unwrap();
    let mode = |mode| std::fs::set_permissions(&users, std::os::unix::fs::PermissionsExt::from_mode(mode));
    mode(0o644).unwrap();
    assert!(of("users of NLA").unwrap_err().contains("chmod 600"));
    mode(0o600).unwrap();
    assert!(of("users of NLA").is_ok());
    assert!(of("who may log on by NLA").unwrap_err().contains("names nobody"));
    std::fs::write(&users, "alice:::0123:::\n").unwrap();
    assert_eq!(of("who may log on by NLA").as_deref(), Ok("1 users"));
    let both = HostConfig { gate_host_credential: Some(dir.path().join("none")), ..on.clone() };
    assert!(nla(&both, None).iter().any(|(name, found)| *name == "credential of the host" && found.is_err()));
}

#[test]
fn nobody_is_asked_whose_desktop_it_is_where_a_proof_or_a_name_tells() {
    let here: Target = "unix:/nonexistent/xrdp".parse().unwrap();
    let far: Target = format!("tcp:127.0.0.1:1#{}", "01".repeat(32)).parse().unwrap();
    let whose = |owner, nla: bool, target| {
        let users = nla.then(|| "/nonexistent/users".into());
        let config = HostConfig::load(None, &[]).unwrap();
        let config = HostConfig {
            gate_owner: owner,
            gate_nla_users: users,
            owner_socket: "/nonexistent/owner".into(),
            ..config
        };
        host(&config, target).pop().unwrap().1
    };
    assert!(whose(None, false, &here).unwrap_err().contains("sudare-owner cannot be asked"));
    assert!(whose(Some(GateOwner::Credentials), true, &here).unwrap().contains("NLA"));
    assert!(whose(None, true, &far).unwrap().contains("NLA"));
    assert!(whose(None, false, &far).unwrap().contains("policy"));
}
