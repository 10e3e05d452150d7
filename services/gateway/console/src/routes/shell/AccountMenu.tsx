import { type ReactNode, useRef, useState } from "react";
import { Button } from "@/components/Button";
import { later } from "@/components/later";
import { Opener } from "@/components/Opener";

const AccountPopover = later(() => import("./AccountPopover").then((m) => m.AccountPopover));

interface Props {
  icon: ReactNode;
  name: string;
  organization: string;
}

/** Who one is, how the console looks and speaks, and the way out. */
export function AccountMenu({ icon, name, organization }: Props) {
  const [open, setOpen] = useState<boolean>();
  const button = useRef<HTMLButtonElement>(null);
  const signOut = useRef<HTMLFormElement>(null);
  return (
    <>
      {/* A form and not a call: it takes the cookie away, and signs out at the identity provider too. */}
      <form ref={signOut} method="post" action="/sign-out" />
      <Opener opens="menu" isOpen={open ?? false} onOpen={() => setOpen(true)} ahead={AccountPopover.ahead}>
        <Button kind="plain" ref={button}>
          {icon} <span className="shortened">{name}</span>
        </Button>
      </Opener>
      {open !== undefined && (
        <AccountPopover triggerRef={button} isOpen={open} onOpenChange={setOpen} organization={organization} signOut={() => signOut.current?.submit()} />
      )}
    </>
  );
}
