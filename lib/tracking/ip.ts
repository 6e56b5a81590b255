import { isIPv4 } from 'node:net';
import ipaddr from 'ipaddr.js';

/**
 * Returns the address as it is stored. The mode `masked` sets the last 8 bits of IPv4 (/24) or the last 80 bits of IPv6
 * (/48) to zero. An IPv4-mapped IPv6 address is stored as IPv4. Null for a text that is not an IP address.
 */
export function storedIp(address: string | null | undefined, mode: 'masked' | 'full' | 'none'): string | null {
  if (mode === 'none' || !address) return null;
  if (isIPv4(address)) return mode === 'full' ? address : `${address.slice(0, address.lastIndexOf('.'))}.0`;
  if (!ipaddr.IPv6.isValid(address)) return null;
  const v6 = ipaddr.IPv6.parse(address);
  if (v6.isIPv4MappedAddress()) return storedIp(v6.toIPv4Address().toString(), mode);
  if (mode === 'full') return v6.toRFC5952String().replace(/%.*$/, '');
  return new ipaddr.IPv6([...v6.parts.slice(0, 3), 0, 0, 0, 0, 0]).toRFC5952String();
}
