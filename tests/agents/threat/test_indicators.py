import ipaddress
import json
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mesh_fl.agents.threat.indicators import Indicator, find_indicators, indicator_of

MD5 = "d41d8cd98f00b204e9800998ecf8427e"
SHA1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709"
SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
SHA512 = SHA256[::-1] + SHA256


def found(text):
    return [(indicator.kind, indicator.value) for indicator in find_indicators(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Beacon to 8.8.8.8.", ("ipv4", "8.8.8.8")),
        ("(8.8.8.8)", ("ipv4", "8.8.8.8")),
        ("src=8.8.8.8:4444", ("ipv4", "8.8.8.8")),
        ("8.8.8[.]8", ("ipv4", "8.8.8.8")),
        ("8(.)8{.}8[dot]8", ("ipv4", "8.8.8.8")),
        ("block 185.220.0.0/16 now", ("ipv4", "185.220.0.0/16")),
        ("gateway 185.220.1.7/24", ("ipv4", "185.220.1.7")),
        ("2A00:1450::8A", ("ipv6", "2a00:1450::8a")),
        ("[2a00:1450::8a]:443", ("ipv6", "2a00:1450::8a")),
        ("2a00[:]1450[:][:]8a", ("ipv6", "2a00:1450::8a")),
        ("fe80::1%eth0 is up", ("ipv6", "fe80::1")),
        ("::ffff:8.8.8.8", ("ipv6", "::ffff:808:808")),
        ("EVIL.Example-Shop.CO.UK.", ("domain", "evil.example-shop.co.uk")),
        ("evil[.]com", ("domain", "evil.com")),
        ("evil [dot] com", ("domain", "evil.com")),
        ("münchen.de", ("domain", "xn--mnchen-3ya.de")),
        ("\u0430\u0440\u0440\u04cf\u0435.com", ("domain", "xn--80ak6aa92e.com")),
        ("пример.рф", ("domain", "xn--e1afmkfd.xn--p1ai")),
        ("expyuzz4wqqyqhjn.onion", ("domain", "expyuzz4wqqyqhjn.onion")),
        ("hxxps://Evil[.]com:8443/A?b=C#d", ("url", "https://evil.com:8443/A?b=C#d")),
        ("hXXp[:]//8.8.8[.]8/x.exe,", ("url", "http://8.8.8.8/x.exe")),
        ("h**p[://]evil(.)ru", ("url", "http://evil.ru")),
        ("(see https://a.org/b_(c))", ("url", "https://a.org/b_(c)")),
        ("<https://a.org/b>.", ("url", "https://a.org/b")),
        ("${jndi:ldap://8.8.8.8:1389/a}", ("url", "ldap://8.8.8.8:1389/a")),
        ("http://[2A00::1]:80/x", ("url", "http://[2a00::1]:80/x")),
        ("http://bob:pw@evil.com/", ("url", "http://bob:pw@evil.com/")),
        ("http://münchen.de/ä", ("url", "http://xn--mnchen-3ya.de/ä")),
        ("http://intranet/x", ("url", "http://intranet/x")),
        ("http://a.zip", ("url", "http://a.zip")),
        ("mail bob[@]evil[.]com now", ("email", "bob@evil.com")),
        ("mailto:O.Brien+x@Evil.COM", ("email", "O.Brien+x@evil.com")),
        ("bob[at]evil[dot]com", ("email", "bob@evil.com")),
        (f"MD5: {MD5.upper()}", ("md5", MD5)),
        (f"sha1={SHA1}", ("sha1", SHA1)),
        (f"sha256:{SHA256}.", ("sha256", SHA256)),
        (SHA512, ("sha512", SHA512)),
        ("cve-2021-44228", ("cve", "CVE-2021-44228")),
        ("CVE\u20112021\u201144228,", ("cve", "CVE-2021-44228")),
        ("CVE-2021-44228_poc.py", ("cve", "CVE-2021-44228")),
    ],
)
def test_what_is_written_is_found(text, expected):
    assert found(text) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "setup.exe and report.pdf, e.g. i.e. a.m. U.S. v2.0 3.14",
        "run main.py, deploy.sh and notes.md; unpack archive.zip",
        "The job is done.In the morning it starts.To be sure.",
        "powershell System.Net.WebClient; ASP.NET app on node.js",
        "user.name=bob os.name(x)",
        r"C:\tools\evil.com /usr/lib/foo.com",
        "999.1.1.1 1.2.3 1.2.3.4.5 01.2.3.4 0.1.2.3",
        "version 1.2.3.4, v1.2.3.4, ver. 1.2.3.4, firmware 9.0.0.1",
        "before 9.0.0.1, prior to 9.0.0.1, <= 9.0.0.1, >=9.0.0.1",
        "9.0.0.1 and earlier, from 8.1 through 8.1.0.7, n/a through 2.0.9.2",
        "Supported versions that are affected are 12.1.3.0, 12.2.1.0 and 12.2.1.1.",
        "12:34:56 and aa:bb:cc:dd:ee:ff and std::vector and A::B and ::",
        "a@b bob@localhost bob@file.exe @evil",
        MD5[:-1] + " " + MD5 + "a " + "0x" + SHA256 + " " + SHA256 * 3,
        "1" * 32 + " " + "a" * 40 + " g" + MD5,
        "CVE-2021-123 CVE-1850-12345 XCVE-2021-44228 CVE-2021-44228a",
        "http:// http://... https://{host}/ http://1.2.3.4.5/",
        "co.uk com .com evil..com -evil-.com red.onion config.local",
        "",
    ],
)
def test_what_only_looks_alike_is_not(text):
    assert found(text) == []


def test_whoever_defangs_means_it():
    text = "archive[.]zip version 1.2.3[.]4 user[.]name=x"
    assert found(text) == [("domain", "archive.zip"), ("ipv4", "1.2.3.4"), ("domain", "user.name")]


def test_each_once_in_the_order_of_first_occurrence():
    text = f"evil.com 8.8.8.8 EVIL[.]com {MD5.upper()} 8.8.8.8 {MD5} a.evil.com"
    assert [value for _, value in found(text)] == ["evil.com", "8.8.8.8", MD5, "a.evil.com"]


def test_what_is_inside_a_link_or_mailbox_is_not_told_again():
    assert [kind for kind, _ in found("http://evil.com/8.8.8.8/CVE-2021-44228 a@b.evil.com")] == [
        "url",
        "email",
    ]


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("8.8.8.8", "public"),
        ("10.0.0.5", "private"),
        ("172.16.0.0/12", "private"),
        ("100.64.0.1", "private"),
        ("127.0.0.1", "loopback"),
        ("169.254.1.1", "link-local"),
        ("224.0.0.1", "multicast"),
        ("198.51.100.7", "documentation"),
        ("255.255.255.0", "reserved"),
        ("0.0.0.0", "unspecified"),
        ("2a00::1", "public"),
        ("2001:db8::1", "documentation"),
        ("fe80::1", "link-local"),
        ("fd00::1", "private"),
        ("::1", "loopback"),
        ("dc01.corp.local", "private"),
        ("mail.example.com", "documentation"),
        ("evil.com", "public"),
        ("bob@evil.com", "public"),
        ("http://evil.com/", "public"),
        ("http://10.0.0.5/", "private"),
        ("http://intranet/", "private"),
        ("http://localhost:80/", "loopback"),
        (MD5, None),
        ("CVE-2021-44228", None),
    ],
)
def test_scope(text, scope):
    assert [indicator.scope for indicator in find_indicators(text)] == [scope]


@pytest.mark.parametrize(
    ("value", "defanged"),
    [
        ("8.8.8.8", "8[.]8[.]8[.]8"),
        ("2a00::1", "2a00[:][:]1"),
        ("evil.co.uk", "evil[.]co[.]uk"),
        ("a.b@evil.com", "a[.]b[@]evil[.]com"),
        ("https://evil.com/a.exe", "hxxps://evil[.]com/a.exe"),
        ("ftp://evil.com/a", "ftp[:]//evil[.]com/a"),
        (MD5, MD5),
        ("CVE-2021-44228", "CVE-2021-44228"),
    ],
)
def test_defanged(value, defanged):
    (indicator,) = find_indicators(value)
    assert (indicator.value, indicator.defanged) == (value, defanged)


label = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=12)
domain = st.builds(
    "{}.{}".format, label, st.sampled_from(["com", "co.uk", "ru", "zip", "xn--p1ai"])
)
address = st.ip_addresses().map(str).filter(lambda a: not a.startswith("0."))
noise = st.text("abc019.:/@[](){}-_%=<> \nhxptdo*,'\"üא。CVE#", max_size=60)


def restored(indicator: Indicator):
    return find_indicators(indicator.defanged)


@given(st.lists(noise | domain | address | st.just("hxxp://") | st.just("CVE-2021-"), max_size=8))
@example(["hxxp[:]//", "::1", "[.]"])
def test_random_text_never_raises_and_what_is_found_survives_defanging(parts):
    for indicator in find_indicators("".join(parts)):
        assert restored(indicator) == (indicator,)
        assert indicator_of(indicator.kind, indicator.value) == indicator
        json.dumps(indicator.model_dump())


@given(st.text())
def test_any_text_is_answered(text):
    find_indicators(text)


@given(address)
def test_every_address_is_found(text):
    value = ipaddress.ip_address(text)
    expected = [] if value.version == 6 and not any(map(str.isdigit, text)) else [str(value)]
    assert [found.value for found in find_indicators(f"from {text} came")] == expected


@given(domain, st.sampled_from(["http", "https", "ftp"]), label)
def test_every_link_is_found(host, scheme, path):
    assert found(f'"{scheme}://{host}/{path}"') == [("url", f"{scheme}://{host}/{path}")]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("ipv4", "2a00::1"),
        ("ipv6", "8.8.8.8"),
        ("ipv4", "evil"),
        ("domain", "setup.exe"),
        ("domain", "a b.com"),
        ("url", "evil.com"),
        ("url", "http://a.com/ b"),
        ("url", "http://[::1"),
        ("url", "http://a.com:99999/"),
        ("email", "a@@evil.com"),
        ("email", "@evil.com"),
        ("md5", SHA1),
        ("cve", "CVE-2021"),
    ],
)
def test_a_value_of_another_kind_is_refused(kind, value):
    assert indicator_of(kind, value) is None


LONG = 1 << 18


@pytest.mark.parametrize(
    "piece",
    [
        ".",
        "a.",
        "1.",
        "a",
        "a:",
        "[",
        "[.]",
        "[dot] ",
        "a@",
        "a'",
        "http://",
        "hxxp",
        "http://a.com/" + ")" * 500,
        "ü.de ",
        "CVE-2021-",
        "version 1.2.3.4, ",
        "%1",
        " ",
    ],
)
def test_a_long_run_of_anything_is_read(piece):
    """Quadratic time would run into the test's time limit many times over."""
    assert len(find_indicators(piece * (LONG // len(piece)))) <= 2


def test_a_link_loses_any_number_of_brackets_but_its_own():
    assert found("http://a.com/(x)" + ")" * LONG) == [("url", "http://a.com/(x)")]


def test_a_link_beyond_the_limit_is_none():
    assert found("http://a.com/" + "x" * 4096 + " 8.8.8.8") == [("ipv4", "8.8.8.8")]
