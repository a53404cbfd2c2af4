import { Plural } from '@lingui/react/macro'

/** What is missing for appliances that take a NOC only on their vendor's word, and who can give it. */
export function NeedsVouchers({ count }: { count: number }) {
  return (
    <Plural
      value={count}
      one="# appliance is left out until its vendor’s voucher is imported. Give the vendor the key of this NOC’s root, and import the manifest that comes back under Inventory."
      other="# appliances are left out until their vendor’s vouchers are imported. Give the vendor the key of this NOC’s root, and import the manifest that comes back under Inventory."
    />
  )
}
