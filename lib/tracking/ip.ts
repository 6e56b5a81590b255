import ipaddr from 'ipaddr.js';

/**
 * The address as it is stored: IPv4 without its last 8 bits (/24), IPv6 without its last 80 (/48). An IPv4 address in IPv6
 * clothes counts as IPv4. Null for anything that is no address.
 */
export function storedIp(address: string | null | undefined, mode: 'masked' | 'full' | 'none'): string | null {
  if (mode === 'none' || !address || !ipaddr.isValid(address)) return null;
  const ip = ipaddr.process(address);
  if (ip.kind() === 'ipv4') {
    const full = ip.toString();
    return mode === 'full' ? full : `${full.slice(0, full.lastIndexOf('.'))}.0`;
  }
  const v6 = ip as ipaddr.IPv6;
  if (mode === 'full') return v6.toRFC5952String().replace(/%.*$/, '');
  return new ipaddr.IPv6([...v6.parts.slice(0, 3), 0, 0, 0, 0, 0]).toRFC5952String();
}
